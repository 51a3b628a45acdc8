// Secret keys in the clear, for programs that move them by themselves: into a
// vault, out of a backup, between two services. Whoever sees these bytes can read
// and write as their owner. A search for this module's name finds every place in a
// program that handles them; a page that only keeps its keys wants openStore.
import type { Binary, Bytes, Identity, SharedKeyset } from "./index.js";

/** Every secret of the identity, about 3 KB, unencrypted. Overwrite it when done. */
export function exportIdentity(identity: Identity): Promise<Bytes>;
/** Rejects with "invalid". */
export function importIdentity(bytes: Binary): Promise<Identity>;
/** The shared keys, unencrypted. Overwrite them when done. */
export function exportSharedKeyset(shared: SharedKeyset): Promise<Bytes>;
/** Rejects with "invalid". */
export function importSharedKeyset(bytes: Binary): Promise<SharedKeyset>;
