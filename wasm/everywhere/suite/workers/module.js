// A module worker, or a service worker.
import { seals } from "./seals.js";

onmessage = async (event) => (event.source ?? self).postMessage(await seals(event.data));
