// A module worker that seals with a core of its own.
import { init, Identity, PublicIdentity, seal } from "/hopseal/index.js";

onmessage = async ({ data: { to, text } }) => {
  try {
    await init();
    const [from, bob] = [await Identity.generate("worker"), await PublicIdentity.parse(to)];
    const sealed = await seal(new TextEncoder().encode(text), { from, to: [bob] });
    postMessage({ from: from.public.bytes, sealed });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
