import { bytesOf, call, handleOf } from "./core.js";
import { Identity, readIdentity, readShared, SharedKeyset } from "./keys.js";
import { op } from "./ops.js";

export async function exportIdentity(identity) {
  return secret(call(op.identityMarshal, handleOf(identity, Identity, "identity")));
}

export async function importIdentity(bytes) {
  return readIdentity(call(op.identityParse, bytesOf(bytes, "bytes")));
}

export async function exportSharedKeyset(shared) {
  return secret(call(op.sharedMarshal, handleOf(shared, SharedKeyset, "shared")));
}

export async function importSharedKeyset(bytes) {
  return readShared(call(op.sharedParse, bytesOf(bytes, "bytes")));
}

function secret(response) {
  const bytes = response.bytes();
  response.wipe();
  return bytes;
}
