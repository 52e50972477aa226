/** A session in a file, by the component alone; or the shared scenarios. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Database } from './database.js';
import { Run } from './scenario.js';
import { split } from './values.js';

/** Adds a message to the session in this file, and reads the session back. */
function demonstrate(path) {
  const database = Database.open(path, 'session');
  const head = database.call('session.load-head').ok;
  const number = head?.['node-count'] ?? 0;
  const node = {
    id: `message-${number}`,
    parent: head?.leaf ?? null,
    prompt: true,
    body: { utf8: `hello, component (${number})` },
  };
  const request = {
    'session-id': 'hello',
    'expected-revision': head?.revision ?? null,
    head: { content: { utf8: 'the head' }, blobs: [], retained: [] },
    graph: { append: [node] },
    leaf: node.id,
    checkpoint: {
      'turn-state': { utf8: 'the turn' },
      'tool-state': null,
      'plugin-snapshot': null,
      'plugin-snapshot-revision': null,
      'execution-state': null,
    },
    usage: [],
    turn: null,
    completions: [],
    'attachment-ids': [],
    profile: 'balanced',
  };
  const receipt = database.call('session.commit', request).ok.committed;
  console.log(`committed revision ${receipt.revision}`);
  // Newest first; what does not fit into one page comes by `session.load-nodes`.
  const { nodes } = database.call('session.load', 'full').ok;
  for (const body of split(nodes.bodies)) console.log(`  ${body}`);
}

/** Runs all scenarios of a list, each on a new file. */
function scenarios(list, directory) {
  let failed = 0;
  for (const [number, scenario] of list.scenarios.entries()) {
    try {
      new Run(scenario, list.values, join(directory, `${number}.db`)).run();
      console.log(`ok      ${scenario.name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${scenario.name}: ${error.stack}`);
    }
  }
  if (failed > 0) throw new Error(`${failed} failed`);
}

/** Checks this host by the component that does, which `npm run conformance` translates. */
async function conformance(directory) {
  const { check, rules } = await import('./conformance.js');
  let failed = 0;
  for (const [number, rule] of rules(join(directory, 'rules.db')).entries()) {
    const wrong = check(rule, join(directory, `${number}.db`));
    console.log(wrong ? `FAILED  ${rule.name}: ${wrong}` : `ok      ${rule.name}`);
    failed += wrong ? 1 : 0;
  }
  if (failed > 0) throw new Error(`${failed} failed`);
}

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const [command, ...rest] = process.argv.slice(2);
if (command === 'scenarios' && rest.length === 2) scenarios(read(rest[0]), rest[1]);
else if (command === 'file' && rest.length === 2) new Run(read(rest[0]), {}, rest[1]).run();
else if (command === 'conformance' && rest.length === 1) await conformance(rest[0]);
else if (command && rest.length === 0) demonstrate(command);
else throw new Error('usage: PATH | scenarios LIST DIRECTORY | file LIST PATH | conformance DIRECTORY');
