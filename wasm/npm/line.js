// What carries data goes to the core one after the other, in the order of the calls. The core has some of
// it at a time, since its memory does not shrink; the rest waits here.
import { aborted, onAbort } from "./async.js";
import { HopsealError } from "./errors.js";

const maxSize = 64 << 20; // bytes, with
const maxWaiting = 1 << 17; // operations
const overhead = 2 << 10; // bytes that an operation takes in the core besides its data

export class Line {
  #room; // bytes that the core may have
  #taken = 0; // of these
  #size = 0;
  #waiting = []; // from #first on
  #first = 0;

  constructor(room) {
    this.#room = room;
  }

  // add has an async function run in its turn. A signal that aborts ends the wait for the turn.
  async add(size, start, signal) {
    if (signal?.aborted) throw aborted(signal);
    if (this.#size + size > maxSize || this.#waiting.length - this.#first >= maxWaiting) {
      throw new HopsealError("session-overflow", "more is being sent than the other end takes");
    }
    this.#size += size;
    try {
      await this.#turn(size + overhead, signal);
      try {
        return await start();
      } finally {
        this.#taken -= size + overhead;
      }
    } finally {
      this.#size -= size;
      this.#next();
    }
  }

  #turn(cost, signal) {
    return new Promise((resolve, reject) => {
      const entry = { cost, gone: false };
      const leave = onAbort(signal, () => {
        leave();
        entry.gone = true;
        reject(aborted(signal));
        this.#next();
      });
      entry.begin = () => {
        leave();
        resolve();
      };
      this.#waiting.push(entry);
      this.#next();
    });
  }

  // next begins what the core has room for, and one in any case.
  #next() {
    for (; this.#first < this.#waiting.length; this.#first++) {
      const entry = this.#waiting[this.#first];
      if (entry.gone) continue;
      if (this.#taken > 0 && this.#taken + entry.cost > this.#room) break;
      this.#taken += entry.cost;
      entry.begin();
    }
    if (this.#first * 2 < this.#waiting.length) return;
    this.#waiting.splice(0, this.#first);
    this.#first = 0;
  }
}
