import { loginsSuite } from '../../testing/logins-suite.ts';
import { createSqliteDatabase } from '../../testing/sqlite-database.ts';

loginsSuite('SQLite', createSqliteDatabase);
