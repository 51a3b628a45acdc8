import { bytesOf } from "./args.js";
import { call, handleOf } from "./core.js";
import { Identity, readIdentity, readShared, SharedKeyset } from "./keys.js";
import { op } from "./ops.js";

export async function exportIdentity(identity) {
  return secret(call(op.identityMarshal, handleOf(identity, Identity, "identity")));
}

export async function importIdentity(bytes) {
  return readIdentity(callWith(op.identityParse, bytesOf(bytes, "bytes")));
}

export async function exportSharedKeyset(shared) {
  return secret(call(op.sharedMarshal, handleOf(shared, SharedKeyset, "shared")));
}

export async function importSharedKeyset(bytes) {
  return readShared(callWith(op.sharedParse, bytesOf(bytes, "bytes")));
}

function callWith(operation, secret) {
  try {
    return call(operation, secret);
  } finally {
    secret.fill(0); // our copy
  }
}

function secret(response) {
  const bytes = response.bytes();
  response.wipe();
  return bytes;
}
