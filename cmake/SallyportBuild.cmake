# Compiler, warnings, sanitizers: what every target of ours is built with.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

option(SALLYPORT_TESTS "Build the tests and the corpus replay of the fuzz harnesses" ON)
option(SALLYPORT_BENCH "Build the benchmarks" OFF)
option(SALLYPORT_FUZZ "Build the fuzz harnesses as libFuzzer programs (clang only)" OFF)
option(SALLYPORT_WERROR "Warnings are errors on our code" ON)
option(SALLYPORT_UNITY "Compile the files of a module together" OFF)
option(SALLYPORT_TEST_PCH "Read GoogleTest once, as a precompiled header" ON)
set(SALLYPORT_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread; empty for none")
set(SALLYPORT_QUIC AUTO CACHE STRING "DoQ and DoH/3: ON, OFF, or AUTO (on where libngtcp2 1.11 is found)")

if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
    message(FATAL_ERROR "Sallyport needs g++ 12 or later (found ${CMAKE_CXX_COMPILER_VERSION})")
endif()

# Without these words ccache refuses whatever uses a precompiled header.
find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${CCACHE}")
    if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
        add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
    endif()
endif()

# Boost.Beast costs a compiler more than a gigabyte: files that include it wait for each other (sallyport_module).
set_property(GLOBAL PROPERTY JOB_POOLS heavy=1)

# Line numbers are all that a stack trace needs; full debug information doubles what is written and linked.
string(REGEX REPLACE "-g( |$)" "-g1\\1" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")

add_library(sallyport_flags INTERFACE)
target_include_directories(sallyport_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(sallyport_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations> # libstdc++ 12 uses in stable_sort what it deprecates; g++ still looks
    $<$<BOOL:${SALLYPORT_WERROR}>:-Werror> -fno-omit-frame-pointer -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # g++ 12 sees overlaps and overruns in std::string's operator+ that are not there (GCC PR 105329, PR 105651).
    target_compile_options(sallyport_flags INTERFACE -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow
        -Wno-stringop-overread)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # Later ones see them in std::vector's insert, of regions they take to be of size 0.
    target_compile_options(sallyport_flags INTERFACE -Wno-stringop-overflow
        -Wno-stringop-overread)
endif()
target_link_options(sallyport_flags INTERFACE -Wl,-z,relro,-z,now)
target_compile_definitions(sallyport_flags INTERFACE
    BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_BEAST_SEPARATE_COMPILATION)
if(NOT SALLYPORT_SANITIZE)
    target_compile_options(sallyport_flags INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
else()
    # Everything in the process is instrumented, so these are global.
    add_compile_options(-fsanitize=${SALLYPORT_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${SALLYPORT_SANITIZE})
    add_compile_definitions(SALLYPORT_SANITIZED)
    if(SALLYPORT_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
        add_compile_options(-Wno-tsan)
    endif()
endif()
if(SALLYPORT_FUZZ)
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "SALLYPORT_FUZZ=ON needs clang (libFuzzer): configure with -DCMAKE_CXX_COMPILER=clang++-19")
    endif()
    # The modules are instrumented for coverage; only the harnesses get libFuzzer's main().
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()
