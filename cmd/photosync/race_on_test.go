//go:build race

package main

// The race detector multiplies memory.
const raceEnabled = true
