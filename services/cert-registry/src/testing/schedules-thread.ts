/** The thread of `playSchedules`: plays its share and says what broke. */
import { parentPort, workerData } from 'node:worker_threads';
import { playHere } from './schedules.ts';

parentPort?.postMessage(playHere(workerData));
