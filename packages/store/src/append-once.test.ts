import { appendOnceSuite } from './testing/append-once-suite.ts';
import { createSqliteDatabase } from './testing/sqlite-database.ts';

appendOnceSuite('SQLite', createSqliteDatabase);
