// The package's entrance in Node. A bundler moves the file that `new URL(…, import.meta.url)` names to where browsers
// fetch it, also in what it makes for a server, which does not find it there. An address that is put together like
// this one bundlers leave as it is.
import { coreIsAt } from "./core.js";

export * from "./index.js";

const here = import.meta.url; // a bundle of CommonJS has none
if (here) coreIsAt(here.replace(/[^/]*$/, "core.wasm"));
