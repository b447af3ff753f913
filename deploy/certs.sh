#!/usr/bin/env bash
# Makes a certificate authority for tests and small clusters, and certificates
# for the parts of KoDistil:
#
#     deploy/certs.sh [--days=N] DIR [NAME...]
#
# NAMEs are the host names and addresses at which clients reach the servers;
# localhost, 127.0.0.1 and ::1 are always among them. DIR then holds ca.crt,
# ca.key and, for each part, PART.crt and PART.key:
#
#     store         server                               no role
#     teacher       server, client of the store          role worker
#     coordinator   server, client of store and teachers role admin
#     serving       server                               no role
#     worker        client                               role worker
#     reader        client                               role reader
#     admin         client                               role admin
#
# A second run keeps what is there. A certificate that expires within a third
# of its life, is of another authority or has other names is made anew; running
# programs take it without a restart. ca.key belongs on no other machine.
set -euo pipefail
umask 077

days=365
dir=''
names=(localhost 127.0.0.1 ::1)

fail() {
  echo "certs.sh: $1" >&2
  exit 2
}

parse_arguments() {
  local argument
  for argument in "$@"; do
    case "$argument" in
      --days=*) days=${argument#--days=} ;;
      -h | --help)
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
        exit 0
        ;;
      -*) fail "unknown option $argument; expected --days=N" ;;
      *)
        if [[ -z $dir ]]; then
          dir=$argument
        elif [[ $argument =~ ^[A-Za-z0-9*._:-]+$ ]]; then
          names+=("$argument")
        else
          fail "name '$argument': expected a host name or an address"
        fi
        ;;
    esac
  done
  [[ -n $dir ]] || fail 'expected a folder: deploy/certs.sh DIR [NAME...]'
  [[ $days =~ ^[1-9][0-9]{0,4}$ ]] || fail "--days=$days: expected 1 to 99999"
}

# "DNS:localhost, IP:127.0.0.1, ..." as OpenSSL wants it.
alternative_names() {
  local name names_text=''
  for name in "${names[@]}"; do
    if [[ $name == *:* || $name =~ ^[0-9]+(\.[0-9]+){3}$ ]]; then
      names_text+=",IP:$name"
    else
      names_text+=",DNS:$name"
    fi
  done
  echo "${names_text#,}"
}

new_key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -out "$1" 2>/dev/null
}

make_authority() {
  if [[ -s $dir/ca.key && -s $dir/ca.crt ]]; then
    echo "$dir/ca.crt stays"
    return
  fi
  new_key "$dir/.ca.key"
  openssl req -x509 -new -key "$dir/.ca.key" -days 3650 -out "$dir/.ca.crt" \
    -subj '/O=KoDistil/CN=KoDistil test authority' \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign'
  chmod 644 "$dir/.ca.crt"
  mv "$dir/.ca.key" "$dir/ca.key"
  mv "$dir/.ca.crt" "$dir/ca.crt"
  echo "$dir/ca.crt made"
}

# is_current PART EXTENSIONS: whether the certificate may stay.
is_current() {
  local certificate=$dir/$1.crt
  [[ -s $certificate && -s $dir/$1.key ]] &&
    openssl verify -CAfile "$dir/ca.crt" "$certificate" >/dev/null 2>&1 &&
    openssl x509 -in "$certificate" -noout \
      -checkend $((days * 86400 / 3)) >/dev/null &&
    [[ $(cat "$dir/.$1.names" 2>/dev/null) == "$2" ]]
}

# make_certificate PART USAGES ROLE, ROLE being empty for none.
make_certificate() {
  local part=$1 usages=$2 role=$3 extensions='' subject=''
  [[ $usages != *serverAuth* ]] || subject=$(alternative_names)
  [[ -z $role ]] || subject+=${subject:+,}URI:kodistil:role/$role
  extensions="basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=$usages
subjectAltName=$subject"
  if is_current "$part" "$extensions"; then
    echo "$dir/$part.crt stays"
    return
  fi
  new_key "$dir/.$part.key"
  openssl req -new -key "$dir/.$part.key" -subj "/O=KoDistil/CN=$part" |
    openssl x509 -req -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -days "$days" \
      -set_serial "0x$(openssl rand -hex 16)" \
      -extfile <(echo "$extensions") -out "$dir/.$part.crt" 2>/dev/null
  chmod 644 "$dir/.$part.crt"
  # A program that looks between the two lines looks again.
  mv "$dir/.$part.key" "$dir/$part.key"
  mv "$dir/.$part.crt" "$dir/$part.crt"
  echo "$extensions" >"$dir/.$part.names"
  echo "$dir/$part.crt made"
}

main() {
  parse_arguments "$@"
  command -v openssl >/dev/null || fail 'needs openssl: sudo deploy/install.sh'
  mkdir -p "$dir"
  make_authority
  make_certificate store serverAuth ''
  make_certificate teacher serverAuth,clientAuth worker
  make_certificate coordinator serverAuth,clientAuth admin
  make_certificate serving serverAuth ''
  make_certificate worker clientAuth worker
  make_certificate reader clientAuth reader
  make_certificate admin clientAuth admin
}

main "$@"
