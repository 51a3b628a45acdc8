// The package's API; index.d.ts documents it. One file a job:
//
//   load.js      from a URL, a Response, bytes or a module to a compiled module
//   core.js      starts the core, calls it, holds handles of what lives in it
//   keys.js      identities, shared keysets, known peers
//   envelope.js  seal, open, inspect
//   store.js     IndexedDB
//   relay.js     the socket to a relay
export { init } from "./core.js";
export { HopsealError } from "./errors.js";
export { Identity, KnownPeers, PublicIdentity, SharedKeyset } from "./keys.js";
export { inspect, open, ReplayGuard, seal } from "./envelope.js";
export { openStore } from "./store.js";
export { RelayClient } from "./relay.js";
