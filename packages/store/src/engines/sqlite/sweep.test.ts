import { createSqliteDatabase } from '../../testing/sqlite-database.ts';
import { sweepSuite } from '../../testing/sweep-suite.ts';

sweepSuite('SQLite', createSqliteDatabase);
