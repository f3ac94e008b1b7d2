// Boards as a grid on a canvas: 10,000 cells are drawn in a few milliseconds, and only when a letter changed.
// A state has a colour and a sign: dot waiting, filled square connected, ✗ trouble, filled ✗ crashed, bar done.
const MARKS = { ".": "wait", o: "good", "!": "bad", x: "worst", "-": "done" };
export default {
  template: `<canvas class="board-grid" role="img" :aria-label="label" @click="pick" ref="canvas"></canvas>`,
  props: { states: String, ids: Array, label: String },
  mounted() {
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.$el.parentElement);
    this.scheme = new MutationObserver(() => this.draw());
    this.scheme.observe(document.body, { attributes: true, attributeFilter: ["class"] });
    this.draw();
  },
  unmounted() {
    this.watcher.disconnect();
    this.scheme.disconnect();
  },
  watch: { states() { this.draw(); } },
  methods: {
    measure() {
      const width = this.$el.parentElement.clientWidth;
      const count = this.states.length || 1;
      // As large as fits into some 420 pixels of height, between what can be seen and what a finger can hit.
      const size = Math.max(8, Math.min(40, Math.floor(Math.sqrt((width * 420) / count))));
      const columns = Math.max(1, Math.floor(width / size));
      return { width, size, columns, height: Math.ceil(count / columns) * size };
    },
    draw() {
      const canvas = this.$el, { width, size, columns, height } = this.measure();
      const scale = window.devicePixelRatio || 1;
      canvas.width = width * scale; canvas.height = height * scale;
      canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
      const pen = canvas.getContext("2d"), style = getComputedStyle(document.body);
      const colour = (name) => style.getPropertyValue(name).trim();
      const [good, bad, dim, ground] = ["--good", "--bad", "--line", "--ground"].map(colour);
      pen.scale(scale, scale);
      const gap = size > 14 ? 2 : 1, side = size - gap;
      for (let index = 0; index < this.states.length; index++) {
        const x = (index % columns) * size, y = Math.floor(index / columns) * size;
        const mark = MARKS[this.states[index]] ?? "wait";
        if (mark === "good") { pen.fillStyle = good; pen.fillRect(x, y, side, side); }
        else if (mark === "done") { pen.fillStyle = dim; pen.fillRect(x, y + side / 2 - 1, side, 2); }
        else if (mark === "wait") { pen.fillStyle = dim; pen.fillRect(x + side / 2 - 1, y + side / 2 - 1, 3, 3); }
        else {
          if (mark === "worst") { pen.fillStyle = bad; pen.fillRect(x, y, side, side); }
          pen.strokeStyle = mark === "worst" ? ground : bad;
          pen.lineWidth = Math.max(1.5, side / 6);
          pen.beginPath();
          pen.moveTo(x + 1, y + 1); pen.lineTo(x + side - 1, y + side - 1);
          pen.moveTo(x + side - 1, y + 1); pen.lineTo(x + 1, y + side - 1);
          pen.stroke();
        }
      }
      this.drawn = (this.drawn ?? 0) + 1;
    },
    pick(event) {
      const { size, columns } = this.measure();
      const index = Math.floor(event.offsetY / size) * columns + Math.floor(event.offsetX / size);
      let left = index;
      for (const [first, many] of this.ids) {
        if (left < many) { if (index < this.states.length) this.$emit("pick", first + left); return; }
        left -= many;
      }
    },
  },
};
