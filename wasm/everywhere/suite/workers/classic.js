// A classic worker, which can import but not with a statement.
onmessage = async (event) => postMessage(await (await import("./seals.js")).seals(event.data));
