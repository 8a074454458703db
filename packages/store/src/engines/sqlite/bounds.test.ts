import { boundsSuite } from '../../testing/bounds-suite.ts';
import { createSqliteDatabase } from '../../testing/sqlite-database.ts';

boundsSuite('SQLite', createSqliteDatabase);
