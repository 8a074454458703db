import { processesSuite } from '../../testing/processes-suite.ts';
import { createSqliteDatabase } from '../../testing/sqlite-database.ts';

processesSuite('SQLite', createSqliteDatabase);
