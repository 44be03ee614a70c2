// Ends this process and all it started when the boss is gone, however it went: its end of the pipe closes.

import { Socket } from "node:net";
import { fds } from "./process-link.js";

const socket = new Socket({ fd: fds.alive, readable: true, writable: false });
socket.on("error", () => {});
socket.on("close", () => process.kill(-process.pid, "SIGKILL"));
socket.resume();
