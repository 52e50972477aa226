/** Opening a file in the order that the interface asks for, and calling the component. */

import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';

import { Connection, Database as Resource, imports } from './imports.js';
import { camel, fromBytes, fromValue, toParams } from './values.js';
import { instantiate as store } from './component/lash-store.js';
import { instantiate as tools } from './component/lash-store-tools.js';

const coreModule = (name) =>
  new WebAssembly.Module(readFileSync(new URL(`./component/${name}`, import.meta.url)));

// Any instance serves any database, so one of each component is enough, until it traps.
let instances = new Map();

/** The instance of the component that exports an interface. */
function instanceWith(interfaceName) {
  const component = /-(inspection|export|import)$/.test(interfaceName) ? tools : store;
  if (!instances.has(component)) instances.set(component, component(coreModule, imports));
  return instances.get(component);
}

/** One connection to a file. */
export class Database {
  /** Opens another connection to a file that `open` has accepted. */
  constructor(path, busyTimeout) {
    this.connection = new Connection(path, busyTimeout);
  }

  /**
   * Opens a file that nothing else in this process has open, and makes it a database
   * of this kind if it is empty or not there.
   */
  static open(path, kind, busyTimeout) {
    const unopened = new Database(':memory:');
    const { ok: state, err } = unopened.call('format.classify', fromBytes(header(path)), kind);
    unopened.close();
    if (err) throw new Error(`${path}: ${JSON.stringify(err)}`);
    createPrivate(path);
    const database = new Database(path, busyTimeout);
    if (state === 'empty') {
      const initialized = database.call(`${kind}.initialize`);
      if (initialized.ok !== 'ready') throw new Error(`${path}: ${JSON.stringify(initialized)}`);
    }
    database.connection.useWal();
    return database;
  }

  /** Calls an export by its name, for example `session.commit`. */
  call(name, ...args) {
    const [interfaceName, functionName] = name.split('.');
    const params = toParams(name, args);
    if (name !== 'format.classify') params.unshift(new Resource(this.connection));
    const exported = instanceWith(interfaceName)[camel(interfaceName)];
    try {
      return { ok: fromValue(exported[camel(functionName)](...params)) };
    } catch (error) {
      // The `err` of a result is thrown, with this field. Everything else is a trap,
      // after which the instance is of no use.
      if (error.payload !== undefined) return { err: fromValue(error.payload) };
      instances = new Map();
      throw error;
    } finally {
      // Whatever ended the call, no transaction outlives it.
      this.connection.endCall();
    }
  }

  close() {
    this.connection.sqlite.close();
  }
}

/**
 * Creates the file, unless it is there, such that only this user can read it. SQLite would
 * leave that to the umask.
 */
function createPrivate(path) {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
}

function header(path) {
  if (!existsSync(path)) return Buffer.alloc(0);
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(100);
    return bytes.subarray(0, readSync(file, bytes));
  } finally {
    // On Unix, this would drop the locks of another connection.
    closeSync(file);
  }
}
