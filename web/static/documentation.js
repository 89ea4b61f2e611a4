// Shows /openapi.json. A file of its own, because the page's Content-Security-Policy lets no inline script run.
window.addEventListener("load", async () => {
  const answer = await fetch("openapi.json");
  const spec = await answer.json();
  // Swagger UI fills examples in. A made-up cursor or filter would only find nothing, so those that may be left
  // out are told in words instead.
  for (const path of Object.values(spec.paths)) {
    for (const operation of Object.values(path)) {
      for (const parameter of operation.parameters ?? []) {
        const example = parameter.example ?? parameter.schema.example;
        if (!parameter.required && example !== undefined) {
          parameter.description += ` For example \`${example}\`.`;
          delete parameter.example;
          delete parameter.schema.example;
        }
      }
    }
  }
  window.ui = SwaggerUIBundle({
    spec,
    dom_id: "#documentation",
    deepLinking: true,
    docExpansion: "none",
    filter: true,
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    // credentials live as long as the page: they are not written to the browser's storage
    persistAuthorization: false,
    // the default is a badge that asks a server elsewhere
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
  });
});
