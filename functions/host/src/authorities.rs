//! The authorities of Amazon RDS, which no system trusts by itself.

/// Root certificates by region, each after a line with its name; `scripts/rds-authorities` writes them.
const RDS: &str = include_str!("../rds-authorities.pem");

/// The certificates, as PEM, that a server of RDS at `host` is signed with: those of its region alone. `None` where `host`
/// is not of RDS or in a region that is not known here.
pub(crate) fn of(host: &str) -> Option<Vec<u8>> {
    // `name.id.eu-west-2.rds.amazonaws.com`, also of a cluster, a proxy or a read replica.
    let (_, region) = host.strip_suffix(".rds.amazonaws.com")?.rsplit_once('.')?;
    let named = format!("Amazon RDS {region} Root CA ");
    let mut of_region = false;
    let lines = RDS.lines().filter(|line| {
        if line.starts_with("Amazon ") {
            of_region = line.starts_with(&named);
        }
        of_region
    });
    let pem = lines.fold(String::new(), |pem, line| pem + line + "\n");
    (!pem.is_empty()).then(|| pem.into_bytes())
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    fn trusted(pem: &[u8]) -> usize {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            store.add(certificate.unwrap()).unwrap();
        }
        store.len()
    }

    #[test]
    fn a_server_of_rds_is_trusted_by_the_authorities_of_its_region_alone() {
        let pem = of("totes.c1abc2def3gh.eu-west-2.rds.amazonaws.com").unwrap();
        assert_eq!(trusted(&pem), 3, "RSA 2048, RSA 4096, ECC 384");
        let text = String::from_utf8(pem).unwrap();
        let names: Vec<&str> = text.lines().filter(|line| line.starts_with("Amazon")).collect();
        assert!(names.iter().all(|name| name.starts_with("Amazon RDS eu-west-2 Root CA ")), "{names:?}");
        for host in
            ["db.example", "eu-west-2.rds.amazonaws.com.example", "a.b.moon-1.rds.amazonaws.com", "rds.amazonaws.com"]
        {
            assert!(of(host).is_none(), "{host}");
        }
    }

    #[test]
    fn every_certificate_can_be_trusted() {
        assert_eq!(trusted(RDS.as_bytes()), RDS.matches("-----BEGIN CERTIFICATE-----").count());
        assert_eq!(trusted(RDS.as_bytes()) % 3, 0);
    }
}
