# What 'make install' puts where. Under /usr and /usr/local the configuration goes to /etc, where services look for it.
include(GNUInstallDirs)

if(CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?/?$")
    set(SALLYPORT_CONFIG_DIR /etc/sallyport)
else()
    set(SALLYPORT_CONFIG_DIR "${CMAKE_INSTALL_PREFIX}/etc/sallyport")
endif()
set(packaging "${CMAKE_SOURCE_DIR}/packaging")

if(TARGET sallyport)
    install(TARGETS sallyport RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

configure_file("${packaging}/systemd/sallyport.service.in" "${CMAKE_BINARY_DIR}/packaging/sallyport.service" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/packaging/sallyport.service" DESTINATION lib/systemd/system)
file(GLOB sockets "${packaging}/systemd/*.socket")
install(FILES ${sockets} DESTINATION lib/systemd/system)
install(FILES "${packaging}/systemd/sallyport.sysusers" DESTINATION lib/sysusers.d RENAME sallyport.conf)

install(FILES "${packaging}/man/sallyport.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${packaging}/completion/sallyport.bash" DESTINATION share/bash-completion/completions RENAME sallyport)
install(FILES "${packaging}/completion/_sallyport" DESTINATION share/zsh/site-functions)
install(FILES "${packaging}/completion/sallyport.fish" DESTINATION share/fish/vendor_completions.d)

install(DIRECTORY "${CMAKE_SOURCE_DIR}/conf/examples/" DESTINATION "${CMAKE_INSTALL_DOCDIR}/examples")
set(pages README.md CHANGELOG.md LICENSE docs/configuration.md docs/operations.md docs/metrics.md docs/logging.md docs/lua.md)
list(TRANSFORM pages PREPEND "${CMAKE_SOURCE_DIR}/")
install(FILES ${pages}
    DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# A configuration that somebody wrote is never replaced: the example is put beside it then.
install(CODE "
    set(place \"\$ENV{DESTDIR}${SALLYPORT_CONFIG_DIR}\")
    file(MAKE_DIRECTORY \"\${place}/certs\" \"\${place}/zones\")
    if(EXISTS \"\${place}/sallyport.yaml\")
        message(STATUS \"Kept: \${place}/sallyport.yaml (the new example: sallyport.yaml.new)\")
        file(COPY_FILE \"${packaging}/sallyport.yaml\" \"\${place}/sallyport.yaml.new\")
    else()
        message(STATUS \"Installing: \${place}/sallyport.yaml\")
        file(COPY_FILE \"${packaging}/sallyport.yaml\" \"\${place}/sallyport.yaml\")
    endif()
")
