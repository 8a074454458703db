import { createSqliteDatabase } from '../testing/sqlite-database.ts';
import { storeSuite } from '../testing/store-suite.ts';

storeSuite('SQLite', createSqliteDatabase);
