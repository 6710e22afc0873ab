# bash completion for sallyport(1)

_sallyport()
{
    local word previous subcommand=""
    word=${COMP_WORDS[COMP_CWORD]}
    previous=${COMP_WORDS[COMP_CWORD - 1]}
    local i
    for ((i = 1; i < COMP_CWORD; ++i)); do
        case ${COMP_WORDS[i]} in
        run | check | ask | reload | stats | health | log-level | cache | explain | cert | version)
            subcommand=${COMP_WORDS[i]}
            break
            ;;
        esac
    done

    case $previous in
    -c | --config | --ca | --batch | --token-file | --root-hints | --trust-anchors)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    -d | --directory)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
        ;;
    --door) mapfile -t COMPREPLY < <(compgen -W "do53 dot doh doq udp tcp doh1 doh2 doh3" -- "$word") && return ;;
    --udp | --tcp) mapfile -t COMPREPLY < <(compgen -W "127.0.0.1:5300 [::1]:5300" -- "$word") && return ;;
    --dot | --doq) mapfile -t COMPREPLY < <(compgen -W "127.0.0.1:8853" -- "$word") && return ;;
    --doh | --doh1 | --doh3) mapfile -t COMPREPLY < <(compgen -W "127.0.0.1:8443" -- "$word") && return ;;
    esac

    local words gateway="--admin --token-file --config --help"
    case $subcommand in
    "") words="run check ask reload stats health log-level cache explain cert version --help --version" ;;
    run) words="--config --hints --help" ;;
    check) words="--config --help" ;;
    ask)
        words="--udp --tcp --dot --doh --doh1 --doh3 --doq --at --name --ca --insecure --path --get --early-data
            --dnssec --cd --no-rd --no-edns --bufsize --padding --no-padding --nsid --cookie --subnet --id --reverse
            --timeout --retry --ignore --repeat --reconnect --batch --short --json --trace --config --root-hints
            --trust-anchors --port --allow-loopback --ipv4 --ipv6 --help"
        [[ $word == -* ]] || words+=" A AAAA ANY CAA CNAME DNSKEY DS HTTPS MX NAPTR NS NSEC PTR SOA SRV SSHFP SVCB TLSA TXT"
        ;;
    reload) words="$gateway" ;;
    stats) words="$gateway --once --interval" ;;
    health) words="$gateway --ready --quiet --timeout" ;;
    log-level) words="debug info warning error $gateway" ;;
    cache) words="lookup list dump flush $gateway --limit --name --subtree --all --json" ;;
    explain) words="$gateway --client --door --server-name --path --dnssec --cd --offline --json" ;;
    cert) words="dev --directory --name --days --replace --quiet --help" ;;
    version) words="--help" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _sallyport sallyport
