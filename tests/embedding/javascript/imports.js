/** What the component imports: SQLite, a clock and random numbers. */

import { randomBytes } from 'node:crypto';
import Sqlite from 'libsql';

const BEGIN = {
  read: 'PRAGMA query_only = ON; BEGIN',
  write: 'PRAGMA query_only = OFF; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE',
  'write-durable': 'PRAGMA query_only = OFF; PRAGMA synchronous = FULL; BEGIN IMMEDIATE',
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
export class Connection {
  // The number of the open transaction. A handle of another one is stale.
  transaction = 0;
  statements = new Map();

  /** Sets on a connection what `wit/sqlite.wit` asks for. */
  constructor(path, busyTimeout = 15_000) {
    this.sqlite = new Sqlite(path, { timeout: busyTimeout });
    this.sqlite.defaultSafeIntegers(true);
    this.sqlite.exec('PRAGMA foreign_keys = ON');
  }

  /** Puts the file into WAL mode, which takes no lock if it is in it already. */
  useWal() {
    this.sqlite.prepare('PRAGMA journal_mode = WAL').all();
  }

  begin(mode) {
    if (this.sqlite.inTransaction) misuse('a transaction is open already');
    this.sqlite.exec(BEGIN[mode]);
    this.transaction += 1;
    return this.transaction;
  }

  /** Rolls back what a call left open. */
  endCall() {
    this.transaction += 1;
    if (this.sqlite.inTransaction) this.sqlite.exec('ROLLBACK');
  }

  check(transaction) {
    if (transaction.number !== this.transaction || !this.sqlite.inTransaction) {
      misuse('the transaction has ended');
    }
  }

  prepare(transaction, sql) {
    this.check(transaction);
    if (!sql.trim()) misuse('there is no statement');
    // The binding runs the first and says nothing of the others.
    if (/;\s*\S/.test(sql.replace(/'[^']*'/g, ''))) misuse('there is more than one statement');
    if (!ALLOWED.test(sql)) throw failure('denied', 0, 'not authorized');
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.sqlite.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }
}

/** What the component knows as a database: any instance serves any of them. */
export class Database {
  constructor(connection) {
    this.connection = connection;
  }

  begin(mode) {
    return answer(() => new Transaction(this.connection, this.connection.begin(mode)));
  }
}

class Transaction {
  constructor(connection, number) {
    this.connection = connection;
    this.number = number;
  }

  execute(sql, params) {
    return this.executeMany(sql, [params]);
  }

  executeMany(sql, rows) {
    return answer(() => {
      const statement = this.connection.prepare(this, sql);
      if (statement.reader) misuse('the statement returns rows');
      const changed = rows.map((params) => statement.run(bindings(sql, params)).changes);
      // A statement that changes no rows leaves the count of the one before.
      return CHANGES.test(sql) ? changed.reduce((sum, n) => sum + BigInt(n), 0n) : 0n;
    });
  }

  query(sql, params) {
    return answer(() => {
      const statement = this.connection.prepare(this, sql);
      const bound = bindings(sql, params);
      const rows = statement.reader ? statement.raw().all(bound) : (statement.run(bound), []);
      return { count: rows.length, cells: Buffer.concat(rows.flat().map(pack)) };
    });
  }

  static commit(transaction) {
    const { connection } = transaction;
    try {
      answer(() => {
        connection.check(transaction);
        connection.sqlite.exec('COMMIT');
      });
    } finally {
      // A handle of an earlier transaction does not end the one that is open.
      if (transaction.number === connection.transaction) connection.endCall();
    }
  }

  [Symbol.dispose ?? Symbol.for('dispose')]() {
    if (this.number === this.connection.transaction) this.connection.endCall();
  }
}

/** Shown to the component instead of the time, for tests. */
export const clock = { now: undefined };

/** All that the component imports. */
export const imports = {
  'lash:store/sqlite': { Database, Transaction },
  'wasi:clocks/wall-clock': {
    now() {
      const now = BigInt(clock.now ?? Date.now());
      return { seconds: now / 1000n, nanoseconds: Number(now % 1000n) * 1_000_000 };
    },
  },
  'wasi:random/random': { getRandomU64: () => randomBytes(8).readBigUInt64LE() },
};

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

// The binding takes what is missing for NULL.
function bindings(sql, params) {
  const positions = Array.from(sql.matchAll(/\?(\d+)/g), ([, position]) => Number(position));
  if (Math.max(0, ...positions) !== params.length) misuse('the number of parameters is wrong');
  return params.map(toSqlite);
}

function toSqlite({ tag, val }) {
  if (tag === 'null') return null;
  // The binding would answer it only up to there.
  if (tag === 'text' && val.includes('\0')) throw failure('other', 0, 'text with NUL');
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
