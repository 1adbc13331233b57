"""Where the guide lies: families of warps, and the ways to find the right one."""
