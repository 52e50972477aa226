/** Runs the component that checks a host on this one, see `wit/conformance.wit`. */

import { readFileSync } from 'node:fs';
import Sqlite from 'libsql';

import { Connection, Database, imports } from './imports.js';
import { instantiate } from './component/lash-host-conformance.js';

// A rule waits as long for a lock.
const BUSY_TIMEOUT = 100;

const coreModule = (name) =>
  new WebAssembly.Module(readFileSync(new URL(`./component/${name}`, import.meta.url)));

/** A file that this host has open, and the second connection to it. */
class File {
  constructor(path) {
    this.path = path;
    this.open();
  }

  open() {
    this.connection = new Connection(this.path, BUSY_TIMEOUT);
    this.connection.useWal();
    this.second = new Sqlite(this.path, { timeout: 0 });
    this.second.defaultSafeIntegers(true);
  }

  close() {
    this.second.close();
    this.connection.sqlite.close();
  }

  run(sql) {
    try {
      const statement = this.second.prepare(sql);
      const rows = statement.reader ? statement.raw().all() : (statement.run(), []);
      return BigInt64Array.from(rows.map(([first]) => first).filter((v) => typeof v === 'bigint'));
    } catch (error) {
      throw Object.assign(new Error(error.message), { payload: error.message });
    }
  }

  instantiate() {
    const second = { run: (sql) => this.run(sql) };
    return instantiate(coreModule, { ...imports, 'lash:store/second-connection': second })
      .conformance;
  }
}

/** Says what was wrong with one rule. */
export function check(rule, path) {
  const file = new File(path);
  try {
    let instance = file.instantiate();
    for (const [number, { reopen, traps }] of rule.steps.entries()) {
      if (reopen) {
        file.close();
        file.open();
        instance = file.instantiate();
      }
      try {
        instance.check(new Database(file.connection), rule.name, number);
        if (traps) return `step ${number}: it did not trap`;
      } catch (error) {
        if (error.payload !== undefined) return `step ${number}: ${error.payload}`;
        if (!traps) return `step ${number}: it trapped: ${error.stack}`;
        instance = file.instantiate();
      } finally {
        file.connection.endCall();
      }
    }
  } finally {
    file.close();
  }
  return undefined;
}

export function rules(path) {
  const file = new File(path);
  try {
    return file.instantiate().rules();
  } finally {
    file.close();
  }
}
