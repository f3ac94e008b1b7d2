// A page with a lost connection asks whether its session and its server go on, and opens itself again:
// after a restart of the server with what runs now, after the end of a session on the sign-in page.
setInterval(async () => {
  if (!window.did_handshake || window.socket?.connected !== false) return;
  try {
    const answer = await fetch("/alive", { cache: "no-store" });
    if (answer.status === 204 || answer.status === 401) location.reload();
  } catch {
    // No server: NiceGUI shows that the connection is lost; the next round asks again.
  }
}, 2000);
