import { rightsSuite } from '../../testing/rights-suite.ts';
import { createSqliteDatabase } from '../../testing/sqlite-database.ts';

rightsSuite('SQLite', createSqliteDatabase);
