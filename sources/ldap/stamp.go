package ldap

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"photosync/sources"
)

// timeGranularity is how old a modifyTimestamp must be to be trusted: it counts
// whole seconds, and the server's clock may differ from ours.
const timeGranularity = 5 * time.Minute

// attributeIDs are the names of photo attributes in replPropertyMetaData
// ([MS-ADTS], section 3.1.1.1.3; those of the base schema are the same everywhere).
var attributeIDs = map[string]uint32{"thumbnailphoto": 0x00160023, "jpegphoto": 0x0015003c}

// marks makes change marks of entries.
type marks struct {
	choice string   // of photo attributes: another choice is another photo
	ids    []uint32 // of all photo attributes; nil: of one it is not known
	off    bool
}

func newMarks(o Options) marks {
	m := marks{off: o.ChangeDetection == "content"}
	names := strings.ToLower(strings.Join(o.PhotoAttributes, ","))
	sum := sha256.Sum256([]byte(names + " " + o.PhotoChoice))
	m.choice = fmt.Sprintf("%x", sum[:3])
	for name := range strings.SplitSeq(names, ",") {
		id, known := attributeIDs[name]
		if !known {
			m.ids = nil
			break
		}
		m.ids = append(m.ids, id)
	}
	return m
}

// attributes are those that marks are made of on this server.
func (m marks) attributes(s server) []string {
	switch {
	case m.off:
		return nil
	case !s.ad:
		return []string{"entryCSN", "modifyTimestamp"}
	case m.ids == nil:
		return []string{"uSNChanged"}
	}
	return []string{"replPropertyMetaData", "uSNChanged"}
}

// of returns the change mark of an entry, and whether it shows that there is a photo:
// the photo's own record in Active Directory's replPropertyMetaData, the same on every
// domain controller; else its uSNChanged, with the identity of the controller that counts;
// elsewhere OpenLDAP's entryCSN, which no two changes share; else modifyTimestamp, unless
// it is so young that another change in the same second would not show.
func (m marks) of(e *entry, s server, now time.Time) (string, sources.Presence) {
	if m.off {
		return "", sources.Unknown
	}
	if s.ad {
		if records, err := parseMetaData(e.values("replPropertyMetaData"), m.ids); err == nil {
			mark, has := recordMark(records)
			return m.mark("repl=" + mark), has
		}
		if usn := e.text("uSNChanged"); usn != "" && s.dc != "" {
			return m.mark("usn=" + s.dc + ":" + usn), sources.Unknown
		}
		return "", sources.Unknown
	}
	if csn := e.text("entryCSN"); csn != "" {
		return m.mark("csn=" + csn), sources.Unknown
	}
	modified := e.text("modifyTimestamp")
	at, err := time.Parse("20060102150405", strings.TrimSuffix(strings.SplitN(modified, ".", 2)[0], "Z"))
	if err != nil || now.Sub(at) < timeGranularity {
		return "", sources.Unknown
	}
	return m.mark("time=" + modified), sources.Unknown
}

func (m marks) mark(s string) string { return m.choice + "/" + s }

// recordMark is the mark of the photo attributes' records. An attribute without
// one was never written.
func recordMark(records []record) (string, sources.Presence) {
	changes, databases, has := make([]string, len(records)), make([]string, len(records)), sources.Absent
	for i, r := range records {
		if r.version != 0 {
			changes[i], databases[i] = fmt.Sprintf("%x.%x", r.usn, r.version), fmt.Sprintf("%x", r.invocation)
			if r.version == 1 {
				has = sources.Present // the first change can only be that it was set
			} else if has == sources.Absent {
				has = sources.Unknown // a removed value leaves its record
			}
		}
	}
	return strings.Join(changes, ",") + "#" + strings.Join(databases, ","), has
}

// record says which change an attribute's value is of: the same on every domain
// controller.
type record struct {
	version    uint32   // counts the changes; 0: there is no record
	invocation [16]byte // of the database where the last change was made
	usn        uint64   // of that change, there
}

var errNoMetaData = errors.New("no replPropertyMetaData that can be understood")

// parseMetaData takes the records of attributes out of replPropertyMetaData
// ([MS-DRSR], section 5.167, PROPERTY_META_DATA_EXT_VECTOR version 1): a header of
// 16 bytes, and for each attribute that was ever written 48 bytes: attribute,
// version, time, invocation id, USN there, USN here.
func parseMetaData(values [][]byte, attributes []uint32) ([]record, error) {
	if len(values) != 1 || len(attributes) == 0 {
		return nil, errNoMetaData
	}
	b, le := values[0], binary.LittleEndian
	if len(b) < 16 || le.Uint32(b) != 1 || uint64(len(b)-16) != uint64(le.Uint32(b[8:]))*48 {
		return nil, errNoMetaData
	}
	records := make([]record, len(attributes))
	for b = b[16:]; len(b) > 0; b = b[48:] {
		for i, id := range attributes {
			if le.Uint32(b) == id {
				records[i] = record{version: le.Uint32(b[4:]), invocation: [16]byte(b[16:32]), usn: le.Uint64(b[32:])}
			}
		}
	}
	return records, nil
}
