//go:build !linux

package main

import "runtime/debug"

// shed gives back the memory that only what is over has used.
func shed() { debug.FreeOSMemory() }
