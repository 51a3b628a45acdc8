// The package's API; index.d.ts documents it. One file a job:
//
//   load.js      from a URL, a Response, bytes or a module to a compiled module
//   node.js      the entrance in Node, which knows where core.wasm is
//   core.js      starts the core, calls it, holds handles of what lives in it
//   fields.js    what crosses between the two
//   keys.js      identities, shared keysets, known peers
//   envelope.js  seal, open, inspect
//   account.js   identity, known peers and replay guard that keep themselves
//   store.js     what is saved of them, and when
//   record.js    how it stands in IndexedDB, and how an older copy is noticed
//   database.js  IndexedDB with promises that settle
//   locks.js     one tab at a time
//   relay.js     the socket to a relay
//   async.js     what waits: tickets, questions of the core, turns
//   link.js      sockets for the core's connections
//   connect.js   how a session begins
//   session.js   sessions
//   sessionstore.js  where they are kept
//   streams.js   their streams
//   server.js    the other end of sessions
export { init } from "./core.js";
export { HopsealError } from "./errors.js";
export { Identity, KnownPeers, PublicIdentity, SharedKeyset } from "./keys.js";
export { importAccount, openAccount } from "./account.js";
export { connect } from "./connect.js";
export { inspect, open, ReplayGuard, seal } from "./envelope.js";
export { openStore } from "./store.js";
export { RelayClient } from "./relay.js";
export { Message, Payload, refuse, reply, Session } from "./session.js";
export { createServer, Server } from "./server.js";
export { openSessionStore, SessionStore } from "./sessionstore.js";
