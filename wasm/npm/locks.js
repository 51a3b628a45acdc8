// Web Locks keep a record to one tab: two that work on one identity would undo each other's
// known peers, and open messages twice.
import { HopsealError } from "./errors.js";

const patience = 1500; // ms; a page that is being reloaded lets go of its locks a little late
const here = new Set(); // what this page holds or asks for

// lock resolves with the function that unlocks. stolen is called, with an error, should another tab
// take the lock away.
export async function lock(name, stolen) {
  if (here.has(name)) throw inUse("this page has opened it already: close() what has it, or use that");
  here.add(name);
  try {
    return await request(name, stolen);
  } catch (error) {
    here.delete(name);
    throw error;
  }
}

const inUse = (message) => new HopsealError("store-in-use", message);

function request(name, stolen) {
  const stop = new AbortController();
  return new Promise((resolve, reject) => {
    let waiting = true;
    let held = false;
    const timer = setTimeout(() => {
      waiting = false;
      stop.abort();
      reject(inUse("another tab or window uses this identity"));
    }, patience);
    const granted = () => {
      if (!waiting) return; // too late
      clearTimeout(timer);
      held = true;
      return new Promise((free) => {
        resolve(() => {
          if (held) here.delete(name);
          held = false;
          free();
        });
      });
    };
    // The signal's abort comes here too, when the promise is settled already.
    navigator.locks.request(name, { signal: stop.signal }, granted).catch((cause) => {
      clearTimeout(timer);
      if (!held) return reject(new HopsealError("store-unavailable", "the browser does not give out locks here", { cause }));
      held = false;
      here.delete(name);
      stolen(inUse("another tab or window has taken this identity over"));
    });
  });
}
