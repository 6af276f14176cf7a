# Headers, both libraries and find_package(swath). The Python module is a component of its own that
# a full installation leaves out.
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/swath)
install(TARGETS swath_static swath_shared EXPORT swathTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT cpp
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT cpp
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT cpp)
install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/swath
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT cpp)
install(EXPORT swathTargets NAMESPACE swath:: DESTINATION ${config_folder} COMPONENT cpp)
configure_package_config_file(cmake/swathConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/swathConfig.cmake INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/swathConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/swathConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/swathConfigVersion.cmake
        DESTINATION ${config_folder} COMPONENT cpp)
