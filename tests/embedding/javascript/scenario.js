/** Runs the scenarios that the languages share, see `tests/embedding/README.md`. */

import Sqlite from 'libsql';

import { Database } from './database.js';
import { clock } from './imports.js';

/** One scenario that runs on a file. */
export class Run {
  #connections = new Map();
  #kept = {};
  #lock;
  #now;

  constructor(scenario, values, path) {
    Object.assign(this, { scenario, values, path });
  }

  run() {
    for (const [index, step] of this.scenario.steps.entries()) {
      try {
        this.#step(step);
      } catch (error) {
        error.message += ` in step ${index + 1}: ${JSON.stringify(step)}`;
        throw error;
      }
    }
    this.#close();
  }

  #step(step) {
    if ('clock-ms' in step) this.#now = step['clock-ms'];
    else if ('reopen' in step) this.#close();
    else if (step.lock === true) {
      this.#lock = new Sqlite(this.path);
      this.#lock.exec('BEGIN IMMEDIATE');
    } else if (step.lock === false) {
      this.#lock.exec('ROLLBACK');
      this.#lock.close();
    } else this.#call(step);
  }

  #call(step) {
    const args = (step.args ?? []).map((arg) => this.#resolve(arg));
    const database = this.#connection(step.on ?? 'first');
    clock.now = this.#now;
    const answer = database.call(step.call, ...args);
    if ('answer' in step && !matches(this.#resolve(step.answer), answer)) {
      throw new Error(`the answer is ${JSON.stringify(answer)}`);
    }
    for (const [variable, path] of Object.entries(step.keep ?? {})) {
      this.#kept[variable] = path
        .split('/')
        .slice(1)
        .reduce((found, part) => found[part], answer);
    }
  }

  #connection(name) {
    let database = this.#connections.get(name);
    if (!database) {
      const wait = this.scenario['busy-timeout-ms'] ?? 15_000;
      database =
        this.#connections.size === 0
          ? Database.open(this.path, this.scenario.kind, wait)
          : new Database(this.path, wait);
      this.#connections.set(name, database);
    }
    return database;
  }

  #close() {
    for (const database of this.#connections.values()) database.close();
    this.#connections.clear();
  }

  /** Puts in what `$var`, `$zeros` and `$like` stand for. */
  #resolve(json) {
    if (Array.isArray(json)) return json.map((item) => this.#resolve(item));
    if (json === null || typeof json !== 'object') return json;
    if ('$var' in json) return this.#kept[json.$var];
    if ('$zeros' in json) return { utf8: '0'.repeat(json.$zeros) };
    const { $like, ...fields } = json;
    const resolved = Object.entries(fields).map(([name, value]) => [name, this.#resolve(value)]);
    return { ...this.values[$like], ...Object.fromEntries(resolved) };
  }
}

/**
 * Whether an answer is what a pattern asks for: an object may have more fields, and
 * `"$any"` stands for anything.
 */
function matches(pattern, answer) {
  if (pattern === '$any') return true;
  if (pattern === null || typeof pattern !== 'object') return pattern === answer;
  if (answer === null || typeof answer !== 'object') return false;
  if (Array.isArray(pattern)) {
    return (
      Array.isArray(answer) &&
      pattern.length === answer.length &&
      pattern.every((item, index) => matches(item, answer[index]))
    );
  }
  return Object.entries(pattern).every(
    ([name, value]) => name in answer && matches(value, answer[name]),
  );
}
