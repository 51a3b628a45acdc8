// Seals with a core of its own, in a worker.
import { init, Identity, PublicIdentity, seal } from "/hopseal/index.js";

export async function seals({ to, text }) {
  try {
    await init();
    const [from, bob] = [await Identity.generate("worker"), await PublicIdentity.parse(to)];
    return { from: from.public.bytes, sealed: await seal(text, { from, to: [bob] }) };
  } catch (error) {
    return { error: String(error) };
  }
}
