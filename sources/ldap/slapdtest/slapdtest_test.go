package slapdtest

import (
	"net"
	"strings"
	"testing"
)

// Servers that start at the same time do not get the same port.
func TestFreeAddr(t *testing.T) {
	given := map[string]bool{}
	for range 400 {
		addr := FreeAddr()
		if given[addr] || !strings.HasPrefix(addr, "127.0.0.1:") {
			t.Fatalf("%s, after %d others", addr, len(given))
		}
		given[addr] = true
	}
	if l, err := net.Listen("tcp", reserved().Addr().String()); err == nil {
		l.Close()
		t.Error("another process may have the same ports")
	}
}
