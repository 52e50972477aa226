/** What the component imports: SQLite, a clock and random numbers. */

import { randomBytes } from 'node:crypto';
import Sqlite from 'libsql';

const BEGIN = {
  read: 'BEGIN',
  write: 'PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE',
  'write-durable': 'PRAGMA synchronous = FULL; BEGIN IMMEDIATE',
};

// The binding has no authorizer that could be told this.
const ALLOWED =
  /^\s*(SELECT|WITH|INSERT|UPDATE|DELETE|CREATE\s+(TABLE|(UNIQUE\s+)?INDEX)|PRAGMA\s+(application_id|user_version))\b/i;
const CHANGES = /^\s*(WITH|INSERT|UPDATE|DELETE)\b/i;

const CODES = {
  5: 'busy',
  6: 'busy',
  8: 'read-only',
  9: 'interrupted',
  10: 'io',
  11: 'corrupt',
  13: 'full',
  14: 'io',
  18: 'too-big',
  19: 'constraint',
  21: 'misuse',
  23: 'denied',
  25: 'misuse',
  26: 'not-a-database',
};

/** One connection, lent to one call at a time. */
export class Imports {
  #open;
  #transaction = 0;
  #statements = new Map();

  /** Sets on a connection what `wit/sqlite.wit` asks for. */
  constructor(path, busyTimeout = 15_000) {
    this.connection = new Sqlite(path, { timeout: busyTimeout });
    this.connection.defaultSafeIntegers(true);
    this.connection.exec('PRAGMA foreign_keys = ON');
    this.now = undefined;
  }

  /** Puts the file into WAL mode, which takes no lock if it is in it already. */
  useWal() {
    this.connection.prepare('PRAGMA journal_mode = WAL').all();
  }

  /** Rolls back what a call left open. */
  endCall() {
    this.#transaction += 1;
    if (this.connection.inTransaction) this.connection.exec('ROLLBACK');
  }

  /** All of this as a component imports it. */
  link() {
    const imports = this;

    class Database {
      begin(mode) {
        return answer(() => {
          if (imports.connection.inTransaction) misuse('a transaction is open already');
          imports.connection.exec(BEGIN[mode]);
          imports.#transaction += 1;
          return new Transaction(imports.#transaction);
        });
      }
    }

    class Transaction {
      constructor(number) {
        this.number = number;
      }

      execute(sql, params) {
        return this.executeMany(sql, [params]);
      }

      executeMany(sql, rows) {
        return answer(() => {
          const statement = imports.#prepare(this, sql);
          const changed = rows.map((params) => statement.run(params.map(toSqlite)).changes);
          // A statement that changes no rows leaves the count of the one before.
          return CHANGES.test(sql) ? changed.reduce((sum, n) => sum + BigInt(n), 0n) : 0n;
        });
      }

      query(sql, params) {
        return answer(() => {
          const statement = imports.#prepare(this, sql);
          const rows = statement.raw().all(params.map(toSqlite));
          const cells = Buffer.concat(rows.flat().map(pack));
          return { count: rows.length, cells };
        });
      }

      static commit(transaction) {
        try {
          answer(() => {
            imports.#check(transaction);
            imports.connection.exec('COMMIT');
          });
        } finally {
          imports.endCall();
        }
      }

      [Symbol.dispose ?? Symbol.for('dispose')]() {
        if (this.number === imports.#transaction) imports.endCall();
      }
    }

    this.database = new Database();
    return {
      'lash:store/sqlite': { Database, Transaction },
      'wasi:clocks/wall-clock': {
        now() {
          const now = BigInt(imports.now ?? Date.now());
          return { seconds: now / 1000n, nanoseconds: Number(now % 1000n) * 1_000_000 };
        },
      },
      'wasi:random/random': { getRandomU64: () => randomBytes(8).readBigUInt64LE() },
    };
  }

  #check(transaction) {
    if (transaction.number !== this.#transaction || !this.connection.inTransaction) {
      misuse('the transaction has ended');
    }
  }

  #prepare(transaction, sql) {
    this.#check(transaction);
    if (!ALLOWED.test(sql)) throw failure('denied', 0, 'not authorized');
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.connection.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** What becomes the `err` of a result: jco passes on everything else as a trap. */
class Failure extends Error {}

function failure(code, extendedCode, message) {
  return Object.assign(new Failure(message), { payload: { code, extendedCode, message } });
}

function misuse(message) {
  throw failure('misuse', 0, message);
}

function answer(run) {
  try {
    return run();
  } catch (error) {
    if (error instanceof Failure) throw error;
    const code = CODES[(error.rawCode ?? 0) & 0xff] ?? 'other';
    throw failure(code, error.rawCode ?? 0, String(error.message));
  }
}

function toSqlite({ tag, val }) {
  if (tag === 'null') return null;
  return tag === 'blob' ? Buffer.from(val) : val;
}

function pack(value) {
  if (value === null) return Buffer.of(0);
  if (typeof value === 'bigint') {
    const cell = Buffer.alloc(9, 1);
    cell.writeBigInt64LE(value, 1);
    return cell;
  }
  if (typeof value === 'number') {
    const cell = Buffer.alloc(9, 2);
    cell.writeDoubleLE(value, 1);
    return cell;
  }
  const bytes = Buffer.from(value);
  const head = Buffer.alloc(5, typeof value === 'string' ? 3 : 4);
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
