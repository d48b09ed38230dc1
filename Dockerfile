# The patient in a container: what `make run` runs, without its database.
#
#   docker build -t patient-backend .
#   docker run -d -p 3000:3000 --env-file .env patient-backend
#
# docs/image.md says how it behaves. What is installed stands in
# conf/packages, for here as for everywhere else.

# ---- build
FROM debian:bookworm-slim AS build
WORKDIR /patient
# First the packages, which change less often than the source.
COPY conf/deps conf/packages conf/
RUN conf/deps build
COPY . .
RUN make -j "$(nproc)" all && strip --strip-unneeded build/mod_patient.so \
    build/patient-*

# ---- run
FROM debian:bookworm-slim
WORKDIR /opt/patient
COPY conf/deps conf/packages conf/
# What nothing here loads goes again. dpkg calls that a broken system, which
# matters to who upgrades one; an image is made anew.
RUN conf/deps runtime image && \
    awk '$1 == "unused" { print $2 }' conf/packages | \
        xargs dpkg --purge --force-depends && \
    apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old && \
    ln -s /opt/patient/conf/patientctl /usr/local/bin/patientctl && \
    install -d -m 1777 /run/patient
COPY conf conf
COPY sql sql
COPY --from=build /patient/build/mod_patient.so /usr/lib/apache2/modules/
COPY --from=build /patient/build/patient-* /usr/local/bin/

# Several tasks have to agree on the key that signs tokens, so production,
# which insists on one, is what an image starts as.
ENV NODE_ENV=production \
    PORT=3000 \
    PATIENT_LOG=stderr \
    PATIENT_RUN=/run/patient
# www-data, by number, so that a cluster can see that it is not root.
USER 33:33
EXPOSE 3000
# The one place that is written to; all else may be read-only. A volume, because
# Fargate has no tmpfs, and gives what it mounts here this directory's mode.
VOLUME /run/patient
# httpd's own signal for "stop, but finish what you began"; SIGTERM does the
# same here.
STOPSIGNAL SIGWINCH
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD curl -fsS --noproxy '*' -o /dev/null "http://127.0.0.1:${PORT:-3000}/livez"
ENTRYPOINT ["patientctl"]
CMD ["run"]
