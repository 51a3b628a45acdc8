// The page: the door where a user picks a name and a room, and the room itself.

import { init } from "./hopseal/index.js";
import { openAccount } from "./account.js";
import { Refusal, Room, byteLength, maxName, maxRoom, maxText } from "./room.js";
import { View, explain } from "./view.js";

const $ = (id) => document.getElementById(id);
const wide = matchMedia("(min-width: 1080px)");

let current = null; // { room, account } while the user is in a room

// The door

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  enter({ memory: false });
});
$("without-store").addEventListener("click", () => enter({ memory: true }));

async function enter({ memory }) {
  const name = $("name").value.trim().toWellFormed();
  const roomName = $("room-name").value.trim().toWellFormed();
  showTrouble(null);
  busy(true);
  try {
    check(name, "Your name", maxName);
    check(roomName, "The room's name", maxRoom);
    current = await open(name, roomName, memory);
    remember(name, roomName);
    showRoom();
  } catch (error) {
    showTrouble(error, name);
  } finally {
    busy(false);
  }
}

function check(text, what, limit) {
  if (!text) throw new Refusal(`${what} is missing.`);
  if (byteLength(text) > limit) throw new Refusal(`${what} is too long: at most ${limit} bytes. Choose a shorter one.`);
}

async function open(name, roomName, memory) {
  await init();
  let view;
  const trouble = (error) => view?.notice({ level: "warning", category: "store", text: `Whom you admitted was not saved: ${explain(error)}` });
  const account = await openAccount(name, { memory, trouble });
  const room = new Room({ name: roomName, url: new URL("relay", location.href), account, emit: (event) => show(view, room, event) });
  view = new View({ room: roomName, identity: account.identity, admit: (member) => admit(view, room, member) });
  try {
    await room.start();
  } catch (error) {
    room.stop();
    await account.close();
    throw error;
  }
  return { room, account };
}

function show(view, room, event) {
  if (event.type === "members") view.members(room.members);
  else view[event.type](event);
}

async function admit(view, room, member) {
  try {
    await room.admit(member);
  } catch (error) {
    view.notice({ level: "warning", category: "admit", text: `Not admitted: ${explain(error)}` });
  }
}

const advice = {
  "store-in-use": (name) => `${name} is open in another tab of this browser. Go there, or choose another name.`,
  "store-unavailable": () => "This browser keeps no keys for this page: it needs https:// or an address on this machine, and a window that is not private. Open the page there, or go on and lose the keys with the page.",
  "store-damaged": (name) => `The keys kept under ${name} do not open: the browser's storage was changed. Choose another name, or clear this site's data.`,
  "relay-name-taken": (name) => `Somebody in this room is called ${name} already. Choose another name, or close your other window.`,
  "relay-unreachable": () => "The relay does not answer. Is \u201cgo run ./examples/chat\u201d still running?",
  "relay-full": () => "This room is full. Choose another one.",
};

function showTrouble(error, name) {
  $("trouble").hidden = !error;
  $("without-store").hidden = error?.code !== "store-unavailable";
  if (error) $("trouble").querySelector("p").textContent = advice[error.code]?.(name) ?? explain(error);
}

function busy(yes) {
  $("enter").disabled = yes;
  $("enter").textContent = yes ? "Making keys, joining…" : "Join the room";
}

// The tab remembers who was where, for a reload; the address carries the room, for others.
function remember(name, room) {
  sessionStorage.setItem("name", name);
  history.replaceState(null, "", `#room=${encodeURIComponent(room)}`);
}

function recall() {
  const room = new URLSearchParams(location.hash.slice(1)).get("room");
  $("name").value = sessionStorage.getItem("name") ?? "";
  $("room-name").value = room ?? "";
  ($("name").value ? $("enter") : $("name")).focus();
}

// The room

function showRoom() {
  $("door").hidden = true;
  $("room").hidden = false;
  fold();
  grow();
  $("text").focus();
}

$("leave").addEventListener("click", async () => {
  const { room, account } = current;
  current = null;
  room.stop();
  await account.close();
  $("room").hidden = true;
  $("door").hidden = false;
  $("name").focus();
});

$("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value.trim().toWellFormed();
  if (!text) return;
  try {
    if (byteLength(text) > maxText) throw new Refusal(`Not sent: a message has at most ${maxText.toLocaleString("en")} bytes. Split it.`);
    $("text").value = ""; // before the wait, so that typing on is not lost
    grow();
    await current.room.send(text);
  } catch (error) {
    $("text").value = [text, $("text").value].filter(Boolean).join("\n");
    grow();
    say(error instanceof Refusal ? error.message : `Not sent: ${explain(error)}`);
  }
});

function say(text) {
  const line = $("readers");
  line.textContent = text;
  line.classList.remove("shake");
  void line.offsetWidth; // restarts the animation
  line.classList.add("shake");
}

$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("text").addEventListener("input", grow);

function grow() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + text.offsetHeight - text.clientHeight}px`;
  text.style.overflowY = text.scrollHeight > text.clientHeight ? "auto" : "hidden";
}

// On a wide page the members stand beside the conversation; on a narrow one they fold above it.
function fold() {
  $("members").open = wide.matches;
}
wide.addEventListener("change", fold);

recall();
