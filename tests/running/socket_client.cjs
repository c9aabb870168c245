// A client with the package `ws`: opens a socket as it is told to, says what it is told to, and prints what it sees.
const WebSocket = require("ws");

const plan = JSON.parse(process.argv[2]);
const seen = { protocol: null, frames: [], code: null, status: null, pinged: false };
const socket = new WebSocket(plan.url, plan.protocols, { headers: plan.headers, origin: plan.origin });

function finish() {
  process.stdout.write(JSON.stringify(seen), () => process.exit(0));
}

socket.on("open", () => {
  seen.protocol = socket.protocol;
  for (const frame of plan.frames) socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  if (plan.binary) socket.send(Buffer.from([0, 255]));
  socket.ping();
});
socket.on("pong", () => { seen.pinged = true; });
socket.on("message", (data, isBinary) => {
  seen.frames.push(isBinary ? "binary" : JSON.parse(data.toString()));
  if (seen.frames.length === plan.count) socket.close(4000, "enough");
});
socket.on("unexpected-response", (_, response) => {
  seen.status = response.statusCode;
  finish();
});
socket.on("close", (code) => {
  seen.code = code;
  finish();
});
socket.on("error", () => {});
setTimeout(finish, 15000);
