import { quotaSuite } from '../../testing/quota-suite.ts';
import { createSqliteDatabase } from '../../testing/sqlite-database.ts';

quotaSuite('SQLite', createSqliteDatabase);
