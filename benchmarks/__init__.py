"""What MindBot costs, measured on real processes; `make bench` writes docs/performance.md."""
