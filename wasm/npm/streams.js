// Streams of a session, as those of the platform.
import { dataOf } from "./args.js";
import { onAbort, quietly } from "./async.js";
import { handleOf, hold, release } from "./core.js";
import { op } from "./ops.js";

const pieceSize = 64 << 10; // bytes that the core takes at once

class Writer {}
class Reader {}

// openStream returns a WritableStream. Its close completes the stream; abort gives it up.
export async function openStream(core, session, type, data, { signal, onprogress } = {}) {
  const key = onprogress ? core.turns.register({ event: (content) => progress(content, onprogress) }) : 0;
  const writer = new Writer();
  const read = (response) => hold(writer, response.number(), core);
  let leave = () => {};
  const forget = () => {
    leave();
    core.turns.unregister(key);
  };
  const begin = async (operation, ...values) => core.turns.begin(operation, [handleOf(writer, Writer, "stream"), ...values]);
  try {
    await core.turns.begin(op.streamOpen, [session, key, type, data], { signal, read });
  } catch (error) {
    forget();
    throw error;
  }
  let aborting = null;
  const abort = () => (aborting ??= begin(op.streamAbort).catch(() => {}).finally(forget)); // it may have been finished
  return new WritableStream(
    {
      start(controller) {
        controller.signal?.addEventListener("abort", abort); // for a write that waits
        leave = onAbort(signal, () => {
          controller.error(signal.reason);
          abort();
        });
      },
      async write(chunk) {
        const bytes = dataOf(chunk, "chunk");
        for (let at = 0; at < bytes.length; at += pieceSize) {
          await begin(op.streamWrite, bytes.subarray(at, at + pieceSize));
        }
      },
      close: () => begin(op.streamFinish).finally(forget),
      abort,
    },
    { highWaterMark: pieceSize, size: (chunk) => chunk?.byteLength ?? chunk?.length ?? 1 },
  );
}

function progress(content, onprogress) {
  content.text();
  const arrived = Number(content.bigint());
  quietly(() => onprogress(arrived));
}

// receiveStream returns a stream that the other end has begun.
export async function receiveStream(core, session, { signal } = {}) {
  const reader = new Reader();
  const stream = await core.turns.begin(op.streamReceive, [session], {
    signal,
    read(response) {
      hold(reader, response.number(), core);
      return { type: response.text(), id: response.bigint(), time: response.date(), data: response.bytes() };
    },
  });
  const begin = async (operation, options) => core.turns.begin(operation, [handleOf(reader, Reader, "stream")], options);
  const readable = new ReadableStream(
    {
      async pull(controller) {
        const bytes = await begin(op.streamRead, { read: (response) => response.bytes() });
        if (bytes.length > 0) return controller.enqueue(bytes);
        release(reader);
        controller.close();
      },
      cancel: () => begin(op.streamClose),
    },
    { highWaterMark: 0 },
  );
  return Object.freeze({ ...stream, readable });
}
