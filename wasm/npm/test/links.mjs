// Two ends of a link in memory, and a hop between them that a test can cut.
export function linkPair() {
  const make = () => ({
    open: true,
    send(bytes) {
      if (!this.open) throw new Error("closed");
      const copy = bytes.slice();
      queueMicrotask(() => this.cut || this.other.onmessage?.({ data: copy })); // also what was sent before a close
    },
    close(code, reason) {
      if (!this.open) return;
      this.open = this.other.open = false;
      queueMicrotask(() => this.onclose?.({ code, reason }));
      queueMicrotask(() => this.other.onclose?.({ code, reason }));
    },
  });
  const [a, b] = [make(), make()];
  a.other = b;
  b.other = a;
  return [a, b];
}

// cut ends a link as a hop does.
export function cut(link) {
  link.open = link.other.open = false;
  link.cut = link.other.cut = true;
  queueMicrotask(() => link.onclose?.({ code: 1006 }));
  queueMicrotask(() => link.other.onclose?.({ code: 1006 }));
}
