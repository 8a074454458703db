import { directorySuite } from '../../testing/directory-suite.ts';
import { createSqliteDatabase } from '../../testing/sqlite-database.ts';

directorySuite('SQLite', createSqliteDatabase);
