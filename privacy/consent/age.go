package consent

// digitalAges are the ages from which a child consents alone, where they
// differ from 16: GDPR Art. 8(1) with the member states' laws, the United
// Kingdom's Data Protection Act 2018, section 9, and COPPA.
var digitalAges = map[string]int{
	"AT": 14, "BE": 13, "BG": 14, "CY": 14, "CZ": 15, "DK": 15, "EE": 13, "ES": 14, "FI": 13, "FR": 15, "GB": 13, "GR": 15,
	"IS": 13, "IT": 14, "LT": 14, "LV": 13, "MT": 13, "NO": 13, "PT": 13, "SE": 13, "SI": 15, "US": 13,
}

// DigitalAge returns the age in years from which a person consents alone in a
// country (ISO 3166-1 alpha-2). An unknown country counts as the strictest: 16.
func DigitalAge(country string) int {
	if age, ok := digitalAges[country]; ok {
		return age
	}
	return 16
}
