import { annotationsSuite } from '../../testing/annotations-suite.ts';
import { createSqliteDatabase } from '../../testing/sqlite-database.ts';

annotationsSuite('SQLite', createSqliteDatabase);
