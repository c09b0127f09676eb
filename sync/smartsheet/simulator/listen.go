package simulator

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Listener is a Server that listens on an address.
type Listener struct {
	// CA is the certificate, PEM, that a client of ListenTLS must trust.
	CA []byte

	l    net.Listener
	http *http.Server
	done chan struct{}
}

// Listen starts the server on addr ("127.0.0.1:0": any free port).
func (s *Server) Listen(addr string) (*Listener, error) { return s.listen(addr, nil, nil) }

// ListenTLS is Listen with HTTPS and HTTP/2, under a certificate that is made up
// on the spot for the host of addr.
func (s *Server) ListenTLS(addr string) (*Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	cert, err := selfSigned(host)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	return s.listen(addr, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, ca)
}

func (s *Server) listen(addr string, secure *tls.Config, ca []byte) (*Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	srv := &http.Server{Handler: s.Page(), ReadHeaderTimeout: 10 * time.Second, TLSConfig: secure}
	x := &Listener{CA: ca, l: l, http: srv, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		if secure != nil {
			srv.ServeTLS(l, "", "") // ends with Close
		} else {
			srv.Serve(l) // ends with Close
		}
	}()
	return x, nil
}

// selfSigned makes a certificate for host and for this machine, good for a year.
func selfSigned(host string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Smartsheet simulator"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = append(c.IPAddresses, ip)
	} else if host != "" {
		c.DNSNames = append(c.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// URL is the base address for the client.
func (x *Listener) URL() string {
	scheme := "http"
	if x.CA != nil {
		scheme = "https"
	}
	return scheme + "://" + x.l.Addr().String() + "/2.0"
}

// Close stops listening and cuts the connections there are.
func (x *Listener) Close() error {
	err := x.http.Close()
	<-x.done
	return err
}
