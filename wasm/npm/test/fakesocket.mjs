// A relay's end and a WebSocket in one, driven by the test.

export class FakeSocket {
  static last;
  binaryType = "blob";
  bufferedAmount = 0;
  readyState = 0;
  sent = [];
  closed = null;

  constructor(url) {
    this.url = url;
    FakeSocket.last = this;
    if (url.includes("refuse")) throw new DOMException("mixed content", "SecurityError");
  }

  send(data) {
    if (this.readyState !== 1) throw new DOMException("not open", "InvalidStateError");
    this.sent.push(data.slice());
  }

  close(code) {
    this.closed ??= code;
    this.readyState = 3;
  }

  // What a test does.
  open() {
    this.readyState = 1;
    this.onopen?.({});
  }

  fail() {
    this.readyState = 3;
    this.onerror?.({});
    this.onclose?.({ code: 1006, reason: "", wasClean: false });
  }

  deliver(bytes) {
    this.onmessage?.({ data: typeof bytes === "string" ? bytes : Uint8Array.from(bytes).buffer });
  }
}

// Frames as a relay writes them; transport/relay/frame has the layout.

export const id = (n) => new Uint8Array(16).fill(n);
const bin = (bytes) => (bytes.length < 256 ? [0xc4, bytes.length, ...bytes] : [0xc5, bytes.length >> 8, bytes.length & 255, ...bytes]);
const str = (text) => [0xa0 | text.length, ...new TextEncoder().encode(text)];
const member = ([n, name, presence]) => [...bin(id(n)), ...str(name), ...bin(presence)];

export const frames = {
  joined: (topic, own, members = []) => [
    0x94, 4, ...str(topic), ...bin(id(own)), 0x90 | members.length, ...members.flatMap((m) => [0x93, ...member(m)]),
  ],
  refused: (topic, code) => [0x93, 5, ...str(topic), code],
  entered: (topic, ...m) => [0x95, 6, ...str(topic), ...member(m)],
  left: (topic, n) => [0x93, 7, ...str(topic), ...bin(id(n))],
  message: (topic, n, payload) => [0x94, 8, ...str(topic), ...bin(id(n)), ...bin(payload)],
};

export const join = (topic, name, presence) => [0x94, 1, ...str(topic), ...str(name), ...bin(presence)];
export const leave = (topic) => [0x92, 2, ...str(topic)];
export const publish = (topic, payload) => [0x93, 3, ...str(topic), ...bin(payload)];
