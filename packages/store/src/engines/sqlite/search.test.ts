import { searchSuite } from '../../testing/search-suite.ts';
import { createSqliteDatabase } from '../../testing/sqlite-database.ts';
import { SQLITE_TEXT_INDEX } from './text-index.ts';

searchSuite('SQLite', createSqliteDatabase, SQLITE_TEXT_INDEX);
